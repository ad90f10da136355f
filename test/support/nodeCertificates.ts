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
  const make = (name: string, ...rest: ReadonlyArray<string>): Certificate => {
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    const out = ["-keyout", file(`${name}.key`), "-out", file(`${name}.pem`)]
    const about = ["-days", "2", "-subj", `/CN=effect-websocket test ${name}`]
    execFileSync("openssl", ["req", "-x509", ...key, ...out, ...about, ...rest], { stdio: "pipe" })
    return { key: read(`${name}.key`), cert: read(`${name}.pem`) }
  }
  const local = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
  const leaf = ["-addext", "basicConstraints=critical,CA:FALSE"]
  try {
    const ca = make("ca").cert
    const signed = ["-CA", file("ca.pem"), "-CAkey", file("ca.key"), ...leaf]
    return {
      ca,
      valid: make("valid", ...signed, ...local),
      otherHost: make("other", ...signed, "-addext", "subjectAltName=DNS:other.test"),
      selfSigned: make("self", ...local)
    }
  } finally {
    Fs.rmSync(directory, { recursive: true })
  }
}
