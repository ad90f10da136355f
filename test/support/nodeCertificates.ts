/**
 * Certificates for TLS tests, made by `openssl` in a directory that is removed again.
 */
import { execFileSync, spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { isThere } from "./requirement.ts"

export interface Certificate {
  readonly key: string
  readonly cert: string
}

export interface Certificates {
  /** Signs the others, but for `selfSigned`. */
  readonly ca: string
  /** For localhost and 127.0.0.1. */
  readonly valid: Certificate
  /** For another host. */
  readonly otherHost: Certificate
  readonly selfSigned: Certificate
  /** As `valid`, until yesterday. */
  readonly expired: Certificate
}

export const hasOpenssl = isThere("openssl", spawnSync("openssl", ["version"]).status === 0, "openssl")

export const makeCertificates = (): Certificates => {
  const directory = Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-websocket-tls-"))
  const file = (name: string): string => Path.join(directory, name)
  const read = (name: string): string => Fs.readFileSync(file(name), "utf8")
  const openssl = (...args: ReadonlyArray<string>) => void execFileSync("openssl", args, { stdio: "pipe" })
  const request = (name: string, ...rest: ReadonlyArray<string>): void => {
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    const out = ["-keyout", file(`${name}.key`), "-out", file(`${name}.pem`)]
    openssl("req", ...key, ...out, "-subj", `/CN=effect-websocket test ${name}`, ...rest)
  }
  const made = (name: string): Certificate => ({ key: read(`${name}.key`), cert: read(`${name}.pem`) })
  const make = (name: string, ...rest: ReadonlyArray<string>): Certificate => {
    request(name, "-x509", "-days", "2", ...rest)
    return made(name)
  }
  const local = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
  const leaf = ["-addext", "basicConstraints=critical,CA:FALSE"]
  try {
    const ca = make("ca").cert
    const authority = ["-CA", file("ca.pem"), "-CAkey", file("ca.key")]
    const signed = [...authority, ...leaf]
    const makeExpired = (name: string): Certificate => {
      request(name, ...leaf, ...local)
      const inAndOut = ["-in", file(`${name}.pem`), "-out", file(`${name}.pem`)]
      openssl("x509", "-req", ...inAndOut, ...authority, "-days", "-1", "-copy_extensions", "copy")
      return made(name)
    }
    return {
      ca,
      valid: make("valid", ...signed, ...local),
      otherHost: make("other", ...signed, "-addext", "subjectAltName=DNS:other.test"),
      selfSigned: make("self", ...local),
      expired: makeExpired("expired")
    }
  } finally {
    Fs.rmSync(directory, { recursive: true })
  }
}
