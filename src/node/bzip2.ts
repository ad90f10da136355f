/**
 * permessage-bzip2. It needs the package `bzip2-wasm`, which nothing else does.
 */
export * as Bzip2Codec from "./Bzip2Codec.ts"
