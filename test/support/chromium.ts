/**
 * Debian's Chromium, driven by playwright-core.
 */
import { existsSync } from "node:fs"
import { type Browser, chromium } from "playwright-core"
import { isThere } from "./requirement.ts"

const executablePath = "/usr/bin/chromium"

/** Whether it can run here. */
export const isChromiumThere = isThere(executablePath, existsSync(executablePath), "chromium")

/** Starts it, without what it does in the background. */
export const launchChromium = (): Promise<Browser> =>
  chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync"
    ]
  })
