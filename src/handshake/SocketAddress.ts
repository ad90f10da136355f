/** A peer's address as a Schema: `127.0.0.1:9000`, `[::1]:9000` or `unix:/tmp/a.sock` in JSON. */
import * as NetAddress from "effect/net/NetAddress"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"

const prefix = "unix:"

// No internet address starts like this, but any text may be a path.
const UnixPathFromString = Schema.String.check(Schema.isStartingWith(prefix)).pipe(
  Schema.decodeTo(
    Schema.UnixPathAddress,
    SchemaTransformation.transform({
      decode: (text) => NetAddress.unixPathAddress(text.slice(prefix.length)),
      encode: ({ path }) => `${prefix}${path}`
    })
  )
)

/** An IP address and port, or a Unix-domain socket's path. */
export const SocketAddress = Schema.SocketAddress.annotate({
  toCodecJson: () =>
    Schema.link<NetAddress.SocketAddress>()(
      Schema.Union([Schema.InetAddressFromString, UnixPathFromString]),
      SchemaTransformation.passthrough()
    )
})
