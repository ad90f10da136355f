/**
 * permessage-snappy. It needs the package `snappy`, which nothing else does.
 */
export * as SnappyCodec from "./SnappyCodec.ts"
