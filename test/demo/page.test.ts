/**
 * The demo's page in a real browser.
 */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import type { Browser, Page } from "playwright-core"
import { isChromiumThere, launchChromium } from "../support/chromium.ts"
import { type Program, start } from "../support/processes.ts"

describe.skipIf(!isChromiumThere)("the demo in Chromium", () => {
  let demo: Program
  let browser: Browser
  let url: string

  beforeAll(async () => {
    demo = start(process.execPath, ["--conditions=effect-websocket:source", "scratchpad/demo/main.ts"])
    url = (await demo.find(/Open (http:\S+)/))[1] ?? ""
    browser = await launchChromium()
  }, 60_000)

  afterAll(async () => {
    await browser?.close()
    demo?.signal("SIGKILL")
    await demo?.ended
  })

  const open = async (path: string): Promise<Page> => {
    const page = await browser.newPage()
    await page.goto(url)
    await page.selectOption("#path", path)
    await page.click("#connect")
    await page.waitForSelector("#state:text-is('open')")
    return page
  }

  const seen = (page: Page, text: string) => page.waitForSelector(`#log li:has-text(${JSON.stringify(text)})`)

  it("connects and shows what was negotiated", async () => {
    const page = await open("/echo")
    await page.waitForSelector("#version:text-is('13')")
    assert.strictEqual(await page.textContent("#subprotocol"), "demo")
    assert.strictEqual(await page.textContent("#extensions"), "none")
    assert.match((await page.textContent("#peer")) ?? "", /^127\.0\.0\.1:\d+$/)
    assert.strictEqual(await page.textContent("#url"), `${url.replace("http", "ws")}echo`)
    await page.close()
  })

  it("echoes text and binary", async () => {
    const page = await open("/echo")
    await page.fill("#text", "grüße 😀")
    await page.click("#send")
    await seen(page, "← grüße 😀")
    await page.fill("#text", "abc")
    await page.click("#binary")
    await seen(page, "← 3 bytes: 61 62 63")
    await page.close()
  })

  it("shows that a ping was answered", async () => {
    const page = await open("/echo")
    await page.click("#ping")
    await seen(page, "pong after")
    await page.close()
  })

  it("shows the close code", async () => {
    const page = await open("/echo")
    await page.click("#close")
    await seen(page, "closed cleanly, code 1000: bye")
    assert.strictEqual(await page.textContent("#state"), "closed")
    await page.close()
  })

  it("lets two pages chat", async () => {
    const ada = await open("/chat")
    const bob = await open("/chat")
    await ada.fill("#text", "hello Bob")
    await ada.click("#send")
    await seen(bob, "← hello Bob")
    await seen(ada, "← hello Bob")
    await bob.fill("#text", "hello Ada")
    await bob.click("#send")
    await seen(ada, "← hello Ada")
    await ada.close()
    await seen(bob, "has gone")
    await bob.close()
  })

  it("drains on Ctrl-C: pages see 1001, the process ends with 0", async () => {
    const other = start(process.execPath, ["--conditions=effect-websocket:source", "scratchpad/demo/main.ts"])
    const first = url
    url = (await other.find(/Open (http:\S+)/))[1] ?? ""
    assert.notStrictEqual(url, first)
    assert.match(other.output(), /Port \d+ is taken, trying \d+\./)
    const page = await open("/echo")
    other.signal("SIGINT")
    await seen(page, "closed cleanly, code 1001")
    assert.strictEqual(await other.ended, 0)
    assert.match(other.output(), /\/echo 127\.0\.0\.1:\d+ closed cleanly, code 1001/)
    url = first
    await page.close()
  })
})
