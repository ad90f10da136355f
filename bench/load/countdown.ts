/** `done` resolves with the `total`-th `tick`. */
export const countdown = (total: number): { readonly done: Promise<void>; readonly tick: () => void } => {
  let left = total
  let resolve: () => void
  const done = new Promise<void>((resolvePromise) => {
    resolve = resolvePromise
  })
  const tick = () => {
    if (--left === 0) resolve()
  }
  return { done, tick }
}
