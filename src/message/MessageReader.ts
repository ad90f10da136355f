/**
 * The peer's bytes to messages: what decodes frames, and what assembles messages of them.
 *
 * A connection keeps one while a frame or message is unfinished, and otherwise makes one for the next chunk. That takes
 * less time than to change one that is old at each chunk (2 to 9 % of an echo, in process: V8 notes each new object that
 * an old one comes to refer to), and an idle connection holds none.
 */
import { FrameDecoder, type FrameDecoderOptions } from "../frame/FrameDecoder.ts"
import { MessageAssembler, type MessageAssemblerOptions } from "./MessageAssembler.ts"

export interface MessageReaderOptions extends FrameDecoderOptions, MessageAssemblerOptions {}

export class MessageReader {
  readonly decoder: FrameDecoder
  readonly assembler: MessageAssembler

  constructor(options: MessageReaderOptions) {
    this.decoder = new FrameDecoder(options)
    this.assembler = new MessageAssembler(options)
  }

  /** Nothing is there of a message that is not complete. Told of a chunk that is used up. */
  get isBetweenMessages(): boolean {
    return this.decoder.isBetweenFrames && !this.assembler.isOpen
  }
}
