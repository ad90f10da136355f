import { endWithStdin } from "./announce.ts"
import { runConnect } from "./load/connect.ts"
import { runEcho } from "./load/echo.ts"
import { fail } from "./load/fail.ts"
import type { Job } from "./load/measure.ts"
import { runOpenLoop } from "./load/openLoop.ts"
import { runRoom } from "./load/room.ts"
import type { Sample } from "./sample.ts"
import { scenarioOf } from "./scenarios.ts"

/** The load generator: one scenario against one server, then a line of JSON. */
const run = (job: Job): Promise<Sample> => {
  const scenario = scenarioOf(job.scenario)
  switch (scenario.kind) {
    case "echo":
      return job.rate === undefined ? runEcho(job, scenario) : runOpenLoop(job, job.rate, scenario)
    case "connect":
      return runConnect(job, scenario)
    case "room":
      return runRoom(job, scenario)
    default:
      return fail(`the load generator does not run ${scenario.id}`)
  }
}

endWithStdin()
console.log(JSON.stringify(await run(JSON.parse(process.argv[2]!))))
process.exit()
