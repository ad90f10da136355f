import { assert } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Result from "effect/Result"
import * as ExtensionHeader from "../../../src/extension/ExtensionHeader.ts"
import * as PerMessageBrotli from "../../../src/extension/PerMessageBrotli.ts"
import * as PerMessageBzip2 from "../../../src/extension/PerMessageBzip2.ts"
import type {
  CompressionExtension,
  OfferAcceptor,
  PerMessageCompressOffer
} from "../../../src/extension/PerMessageCompress.ts"
import * as PerMessageDeflate from "../../../src/extension/PerMessageDeflate.ts"
import * as PerMessageSnappy from "../../../src/extension/PerMessageSnappy.ts"
import { bzip2 } from "../../../src/node/bzip2.ts"
import * as NodeCompression from "../../../src/node/NodeCompression.ts"
import { snappy } from "../../../src/node/snappy.ts"
import { pick } from "../../support/arbitraries.ts"
import { splitAfter, type Target } from "../Target.ts"

interface Spoken {
  readonly extension: CompressionExtension
  readonly acceptors: ReadonlyArray<OfferAcceptor>
  readonly offers: ReadonlyArray<PerMessageCompressOffer>
}

const extensions: ReadonlyArray<Spoken> = [
  {
    extension: NodeCompression.deflate,
    acceptors: [
      PerMessageDeflate.acceptOffer(),
      PerMessageDeflate.acceptOffer({
        windowBits: 9,
        requestMaxWindowBits: 10,
        requestNoContextTakeover: true
      })
    ],
    offers: [
      new PerMessageDeflate.PerMessageDeflateOffer(),
      new PerMessageDeflate.PerMessageDeflateOffer({
        requestMaxWindowBits: 11,
        requestNoContextTakeover: true
      })
    ]
  },
  {
    extension: NodeCompression.brotli,
    acceptors: [
      PerMessageBrotli.acceptOffer(),
      PerMessageBrotli.acceptOffer({ requestNoContextTakeover: true })
    ],
    offers: [new PerMessageBrotli.PerMessageBrotliOffer({ requestNoContextTakeover: true })]
  },
  {
    extension: bzip2,
    acceptors: [PerMessageBzip2.acceptOffer(), PerMessageBzip2.acceptOffer({ requestMaxCompressLevel: 3 })],
    offers: [new PerMessageBzip2.PerMessageBzip2Offer({ requestMaxCompressLevel: 5 })]
  },
  {
    extension: snappy,
    acceptors: [
      PerMessageSnappy.acceptOffer(),
      PerMessageSnappy.acceptOffer({ requestNoContextTakeover: true })
    ],
    offers: [new PerMessageSnappy.PerMessageSnappyOffer()]
  }
]

const parametersOf = (text: string): ReadonlyArray<ExtensionHeader.ExtensionParameter> => {
  const [extension, ...others] = Result.getOrThrow(ExtensionHeader.parse([text]))
  assert.isEmpty(others)
  return extension!.parameters
}

/** What is written is read again; and what a server accepts, the client that has offered it accepts too. */
const checkOffer = ({ acceptors, extension }: Spoken, offer: PerMessageCompressOffer): void => {
  const { extensionString } = offer
  const again = Result.getOrThrow(extension.parseOffer(parametersOf(extensionString)))
  assert.strictEqual(again.extensionString, extensionString)
  for (const acceptor of acceptors) {
    const accept = acceptor([offer])
    if (accept === undefined) continue
    Result.getOrThrow(extension.fromOfferAccept(accept))
    const response = Result.getOrThrow(extension.parseResponse(parametersOf(accept.extensionString), [offer]))
    Result.getOrThrow(extension.fromResponseAccept(extension.acceptResponse(response)!))
  }
}

const checkElement = (element: ExtensionHeader.Extension): void => {
  const again = ExtensionHeader.parse([ExtensionHeader.format(element)])
  assert.deepStrictEqual(Result.getOrThrow(again), [element])
  for (const spoken of extensions) {
    const { extension, offers } = spoken
    const offer = extension.parseOffer(element.parameters)
    if (Result.isSuccess(offer)) checkOffer(spoken, offer.success)
    const response = extension.parseResponse(element.parameters, offers)
    if (Result.isFailure(response)) continue
    const accept = extension.acceptResponse(response.success)
    if (accept !== undefined) Result.getOrThrow(extension.fromResponseAccept(accept))
  }
}

const read = (input: string) => ExtensionHeader.parse(input.split("\n"))

const parameterNames = [
  ...["client_no_context_takeover", "server_no_context_takeover"],
  ...["client_max_window_bits", "server_max_window_bits"],
  ...["client_max_compress_level", "server_max_compress_level"]
]

/** Sec-WebSocket-Extensions, several values in lines, and what each extension reads in it. */
export const extensionHeader: Target = {
  name: "extensions",
  isText: true,
  generated: Arbitrary.map(
    Arbitrary.array(
      Arbitrary.all([
        pick("permessage-deflate", "permessage-brotli", "permessage-bzip2", "permessage-snappy", "x"),
        Arbitrary.array(
          Arbitrary.all([
            pick(...parameterNames),
            pick("", "", "=8", "=15", '="10"', "=0", "=016", "=9", "=1")
          ]),
          { maxLength: 4 }
        ),
        pick(", ", ",", "\n", ",,")
      ]),
      { maxLength: 3 }
    ),
    (elements) =>
      elements
        .map(([name, parameters, end]) => [name, ...parameters.map((one) => one.join(""))].join("; ") + end)
        .join("")
  ),
  dictionary: [
    ...parameterNames,
    ...[";", ",", "=", '"', "\\", '"8"', '"\\1\\5"', "=8", "=15", "=16", "=7", "=1", "=9", "\n", " ", "\t"],
    ...["permessage-deflate", "permessage-bzip2", "__proto__", "constructor", "toString", "\0", "\xff"]
  ],
  split: splitAfter(/[;,=\n]/),
  check: (input) => {
    const parsed = read(input)
    if (Result.isSuccess(parsed)) for (const element of parsed.success) checkElement(element)
  },
  work: (input) => {
    const parsed = read(input)
    if (Result.isFailure(parsed)) return
    for (const { extension, offers } of extensions) {
      for (const { parameters } of parsed.success) {
        extension.parseOffer(parameters)
        extension.parseResponse(parameters, offers)
      }
    }
  }
}
