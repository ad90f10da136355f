/**
 * Calls `handle` with each item, in order. What it throws for one of them is not the others' loss: `later` gets
 * those that come behind it.
 */
export const inOrder = <A>(
  items: ReadonlyArray<A>,
  handle: (item: A) => void,
  later: (rest: ReadonlyArray<A>) => void
): void => {
  let count = 0
  try {
    for (const item of items) {
      count++
      handle(item)
    }
  } finally {
    if (count < items.length) later(items.slice(count))
  }
}
