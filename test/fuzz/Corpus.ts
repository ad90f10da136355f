/**
 * The inputs that are kept, one a file: text as a JSON string, bytes as hexadecimal digits.
 */
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { bytesOfInput, inputOfBytes, type Target } from "./Target.ts"

const corpus = new URL("./corpus/", import.meta.url)

const folderOf = ({ name }: Target): URL => new URL(`${name}/`, corpus)

const decode = (text: string, { isText, name }: Target): string => {
  if (!isText) return inputOfBytes(Buffer.from(text.replaceAll(/\s/g, ""), "hex"))
  const input: unknown = JSON.parse(text)
  if (typeof input !== "string") throw new Error(`the corpus of ${name} has a file that is not a JSON string`)
  return input
}

/** As it stands in a file, and in a report. */
export const encode = (input: string, { isText }: Target): string =>
  isText
    ? JSON.stringify(input)
    : Buffer.from(bytesOfInput(input))
        .toString("hex")
        .replaceAll(/.{1,100}/g, "$&\n")
        .trimEnd()

export interface Kept {
  readonly file: string
  readonly input: string
}

/** In the order of the files' names. */
export const read = (target: Target): ReadonlyArray<Kept> => {
  const folder = folderOf(target)
  if (!existsSync(folder)) return []
  return readdirSync(folder)
    .sort()
    .map((file) => ({ file, input: decode(readFileSync(new URL(file, folder), "utf8"), target) }))
}

/** Keeps an input; gives the path of its file, from the repository's root. */
export const keep = (input: string, target: Target): string => {
  const folder = folderOf(target)
  mkdirSync(folder, { recursive: true })
  const file = `${createHash("sha1").update(input).digest("hex").slice(0, 12)}.${target.isText ? "json" : "hex"}`
  writeFileSync(new URL(file, folder), `${encode(input, target)}\n`)
  return `test/fuzz/corpus/${target.name}/${file}`
}
