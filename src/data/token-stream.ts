/** Tokens that may wait for the rest of a character before they are printed as they are. */
const LONGEST_WAIT = 16;
const REPLACEMENT = "\uFFFD";

/**
 * Text of tokens that come one at a time. A token may end within a UTF-8 character; an unfinished character waits.
 * The tokens before the new ones are decoded with them, because decoders treat a text's beginning in a special way.
 */
export class TokenStream {
  readonly #decode: (ids: number[]) => string;
  /** Printed last, the context of `#waiting`. */
  #printed: number[] = [];
  #waiting: number[] = [];

  constructor(decode: (ids: number[]) => string) {
    this.#decode = decode;
  }

  /** @returns the text that this token completes, possibly none */
  push(id: number): string {
    this.#waiting.push(id);
    const text = this.#newText();
    if (text.endsWith(REPLACEMENT) && this.#waiting.length < LONGEST_WAIT) return "";
    if (text !== "") this.#shift();
    return text;
  }

  /** The text that was still waiting; bytes that never became a character print as U+FFFD. */
  end(): string {
    const text = this.#newText();
    this.#printed = [];
    this.#waiting = [];
    return text;
  }

  #newText(): string {
    return this.#decode([...this.#printed, ...this.#waiting]).slice(this.#decode(this.#printed).length);
  }

  #shift(): void {
    this.#printed = this.#waiting;
    this.#waiting = [];
  }
}
