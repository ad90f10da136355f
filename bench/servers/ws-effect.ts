// `ws` in a process that has loaded what an application on Effect has: how much memory that is decides how long a full
// collection takes.
import "effect-websocket/node"
import "effect/Layer"
import "effect/Schema"
import "effect/Stream"
import "./ws.ts"
