import { assert, describe, it } from "@effect/vitest"
import { type Linked, LinkedList } from "../../src/channel/LinkedList.ts"

interface Member extends Linked<Member> {
  readonly name: number
}

const member = (name: number): Member => ({ name, previous: undefined, next: undefined })

describe("LinkedList", () => {
  it("does what a Set does", () => {
    const members = Array.from({ length: 6 }, (_, name) => member(name))
    const list = new LinkedList<Member>()
    const set = new Set<Member>()
    let random = 1
    for (let step = 0; step < 5000; step++) {
      random = (Math.imul(random, 1664525) + 1013904223) >>> 0
      const one = members[(random >>> 8) % members.length]!
      if (random >>> 31 === 0) {
        list.add(one)
        set.add(one)
      } else {
        list.delete(one)
        set.delete(one)
      }
      assert.deepStrictEqual(
        list.all.map(({ name }) => name),
        [...set].map(({ name }) => name)
      )
      assert.strictEqual(list.size, set.size)
      assert.strictEqual(list.first, [...set][0])
      for (const any of members) assert.strictEqual(list.has(any), set.has(any))
    }
  })

  it("refers to none of those who have gone, nor they to others", () => {
    const members = [member(0), member(1), member(2)]
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 0, 2]
    ]) {
      const list = new LinkedList<Member>()
      for (const one of members) list.add(one)
      for (const name of order) {
        const gone = members[name]!
        list.delete(gone)
        assert.deepStrictEqual(gone, member(name))
      }
      assert.isUndefined(list.first)
      assert.deepStrictEqual(list.all, [])
    }
  })
})
