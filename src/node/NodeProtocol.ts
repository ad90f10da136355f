/**
 * The protocol with what Node brings to it.
 */
import * as Layer from "effect/Layer"
import * as Protocol from "../channel/Protocol.ts"
import * as NodeCompression from "./NodeCompression.ts"

/** The protocol's services with their default layers, and Node's compressions. */
export const layer: Layer.Layer<Protocol.Protocol> = Layer.merge(Protocol.layer, NodeCompression.layer)
