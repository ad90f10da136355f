/**
 * `node:tls`, loaded when TLS is first spoken: that is some 10 ms, which others are spared.
 */
export const nodeTls = (): typeof import("node:tls") => process.getBuiltinModule("node:tls")
