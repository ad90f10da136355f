/**
 * Makes an error that has no stack. That of a connection's end would tell of this package alone, and keep what its calls
 * were made on, which is the connection, for as long as the error is kept.
 */
export const withoutStack = <A extends Error>(make: () => A): A => {
  const { stackTraceLimit } = Error
  // Unlike an assignment it does not throw where the intrinsics are frozen.
  Reflect.set(Error, "stackTraceLimit", 0)
  try {
    return make()
  } finally {
    Reflect.set(Error, "stackTraceLimit", stackTraceLimit)
  }
}
