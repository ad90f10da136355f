/**
 * What a test needs that npm does not install.
 */

/**
 * Whether `what` is there. Where it is not, the tests that need it are skipped and
 * say how to install it; CI skips none, so there it is an error.
 */
export const isThere = (what: string, found: boolean, packages: string): boolean =>
  isGiven(what, found, `apt-get install ${packages}`)

/** As `isThere`, of what no package has: `remedy` says how to get it. */
export const isGiven = (what: string, found: boolean, remedy: string): boolean => {
  if (found) return true
  const message = `${what} is missing: ${remedy}`
  if (process.env.CI !== undefined) throw new Error(message)
  console.warn(`skipped: ${message}`)
  return false
}
