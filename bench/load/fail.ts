/** A wrong, missing or late answer makes every figure worthless: say so and end. */
export const fail = (message: string): never => {
  console.error(message)
  process.exit(1)
}
