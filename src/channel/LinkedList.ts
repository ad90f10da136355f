/**
 * What comes and goes, in the order in which it came.
 *
 * A `Set` does the same, but V8's keep what was deleted: a table that has been outgrown refers to the next one, so that
 * from the first that has become old on, all stay until a full collection, with what was in them. Where a server's
 * connections came and went, each young collection copied all that had ended since the last.
 */

/** A member of one list at most. Only the list changes this. */
export interface Linked<A> {
  previous: A | undefined
  next: A | undefined
}

export class LinkedList<A extends Linked<A>> {
  size = 0
  #first: A | undefined
  #last: A | undefined

  /** The member that came first. */
  get first(): A | undefined {
    return this.#first
  }

  /** Whether `member`, which is in no other list, is in this one. */
  has(member: A): boolean {
    return member.previous !== undefined || member === this.#first
  }

  /** Adds a member at the end, unless it is there. */
  add(member: A): void {
    if (this.has(member)) return
    member.previous = this.#last
    if (this.#last === undefined) this.#first = member
    else this.#last.next = member
    this.#last = member
    this.size++
  }

  /** Takes a member out, if it is there. */
  delete(member: A): void {
    if (!this.has(member)) return
    const { next, previous } = member
    if (previous === undefined) this.#first = next
    else previous.next = next
    if (next === undefined) this.#last = previous
    else next.previous = previous
    member.previous = undefined
    member.next = undefined
    this.size--
  }

  /** The members that are there now. */
  get all(): ReadonlyArray<A> {
    const all: Array<A> = []
    for (let member = this.#first; member !== undefined; member = member.next) all.push(member)
    return all
  }
}
