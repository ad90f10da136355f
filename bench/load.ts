import { endWithStdin } from "./announce.ts"
import { runConnect } from "./load/connect.ts"
import { runEcho } from "./load/echo.ts"
import type { Job, Sample } from "./load/measure.ts"
import { scenarios } from "./scenarios.ts"

/** The load generator: one scenario against one server, then a line of JSON. */
const run = (job: Job): Promise<Sample> => {
  const scenario = scenarios.find(({ id }) => id === job.scenario)!
  switch (scenario.kind) {
    case "echo":
      return runEcho(job, scenario)
    case "connect":
      return runConnect(job, scenario)
  }
}

endWithStdin()
console.log(JSON.stringify(await run(JSON.parse(process.argv[2]!))))
process.exit()
