/**
 * Peers that are Python programs in test/interop/peers, on Debian's packages.
 */
import { spawnSync } from "node:child_process"
import { NodeServices } from "@effect/platform-node"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ChildProcess from "effect/process/ChildProcess"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { makePeer, Peer, PeerEvent, PeerFailure, type Wire } from "./interop.ts"
import { isThere } from "./requirement.ts"

// Where apt-get installs modules; the first `python3` in the PATH may be another.
const python = "/usr/bin/python3"

/** Whether the peers can run here. */
export const arePythonPeersThere = isThere(
  "Python's autobahn or websockets",
  spawnSync(python, ["-c", "import autobahn, websockets"]).status === 0,
  "python3-autobahn python3-websockets"
)

const folder = new URL("../interop/peers/", import.meta.url).pathname

const decodeEvent = Schema.decodeUnknownEffect(Schema.fromJsonString(PeerEvent))

/** Runs a program until the scope closes. Should this process be lost, the program ends with its stdin. */
const run = (program: string) =>
  Effect.fnUntraced(function* ({ emit, fail, socketPath }: Wire) {
    const commands = yield* Queue.unbounded<string>()
    const child = yield* ChildProcess.make(python, ["-BEs", `${folder}${program}`, socketPath], {
      stdin: Stream.fromQueue(commands).pipe(Stream.encodeText)
    }).pipe(Effect.mapError(({ message }) => new PeerFailure({ message })))
    const events = child.stdout.pipe(
      Stream.decodeText(),
      Stream.splitLines,
      Stream.mapEffect((line) => decodeEvent(line)),
      Stream.runForEach((event) => Effect.sync(() => emit(event)))
    )
    const complaints = child.stderr.pipe(Stream.decodeText(), Stream.mkString)
    yield* Effect.all([events, complaints], { concurrency: "unbounded" }).pipe(
      Effect.flatMap(([, text]) => Effect.fail(new Error(`${program} ended: ${text}`))),
      Effect.catch(({ message }) => Effect.sync(() => fail(new PeerFailure({ message })))),
      Effect.forkScoped
    )
    return (command: object) => void Queue.offerUnsafe(commands, `${JSON.stringify(command)}\n`)
  })

/** The peer that a Python program is. */
export const layer = (program: string): Layer.Layer<Peer, PeerFailure> =>
  Layer.effect(Peer, makePeer(run(program))).pipe(Layer.provide(NodeServices.layer))
