import { WebSocket } from "ws"
import { runClientJob } from "../clientJob.ts"
import { fail } from "../load/fail.ts"

await runClientJob(({ conversation, finished, scenario, url }) => {
  const options = {
    // Compressing small messages as well, as effect-websocket does.
    perMessageDeflate: scenario.message.compressed && { threshold: 0 },
    maxPayload: 16 * 1024 * 1024
  }
  const inFlight = scenario.kind === "echo" ? scenario.inFlight : 1

  const connect = () => {
    const socket = new WebSocket(url, options)
    const { heard, next } = conversation()
    socket.on("error", (error) => fail(`connection failed: ${error.message}`))
    socket.on("open", () => {
      for (let index = 0; index < inFlight; index++) socket.send(next())
    })
    socket.on("message", (data: Buffer) => {
      heard(data)
      if (scenario.kind === "echo") socket.send(next())
      else socket.close(1000)
    })
    socket.on("close", (code) => {
      if (code !== 1000 || scenario.kind === "echo") fail(`connection closed with ${code}`)
      finished()
      connect()
    })
  }
  const count = scenario.kind === "echo" ? scenario.connections : scenario.parallel
  for (let index = 0; index < count; index++) connect()
})
