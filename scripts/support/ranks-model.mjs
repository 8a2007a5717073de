// The time of a step that several ranks share: each computes its tokens, then all add up the adapter's gradients.

/**
 * @typedef {object} Setting
 * @property {number} tokensPerSecond of one rank alone
 * @property {number} parameters of the adapter that train; each has a gradient of 4 bytes
 * @property {number} linkBitsPerSecond of each rank's own link, in each direction
 * @property {number} [latency] seconds until a message arrives
 * @property {number} [addBytesPerSecond] at which a rank adds up the parts that it was sent
 * @property {number} [copyBytesPerSecond] between a GPU's memory and the machine's; without it nothing is copied
 */

const GRADIENT_BYTES = 4;

/** Bytes that each rank sends in a step, and receives: its part of all gradients to each other rank, then its sums to each. */
export function bytesSent(parameters, ranks) {
  return ((2 * (ranks - 1)) / ranks) * GRADIENT_BYTES * parameters;
}

/** Seconds of a step in which no rank computes. @param {Setting} setting */
export function exchangeSeconds(setting, ranks) {
  if (ranks === 1) return 0;
  const { parameters, linkBitsPerSecond, latency = 50e-6, addBytesPerSecond = 10e9, copyBytesPerSecond } = setting;
  const whole = GRADIENT_BYTES * parameters;
  const sending = (8 * bytesSent(parameters, ranks)) / linkBitsPerSecond + 2 * (ranks - 1) * latency;
  // A rank adds up one part of the gradients, of every rank.
  const adding = whole / addBytesPerSecond;
  const copying = copyBytesPerSecond ? (2 * whole) / copyBytesPerSecond : 0;
  return sending + adding + copying;
}

/** The share of a step in which ranks compute. @param {Setting} setting @param tokens of a rank in a step */
export function efficiency(setting, ranks, tokens) {
  const computing = tokens / setting.tokensPerSecond;
  return computing / (computing + exchangeSeconds(setting, ranks));
}

/** Tokens a second of all ranks in those of one rank alone. */
export const speedup = (setting, ranks, tokens) => ranks * efficiency(setting, ranks, tokens);

/** Tokens of a step, of all ranks, from which on they are faster than one rank that makes the same step alone. */
export function breakEvenTokens(setting, ranks) {
  // x tokens a rank: x / v + exchange = ranks * x / v
  return (ranks * exchangeSeconds(setting, ranks) * setting.tokensPerSecond) / (ranks - 1);
}

/** Tokens of a step, of all ranks, from which on they compute in this share of the time. */
export function tokensFor(setting, ranks, share) {
  return (ranks * exchangeSeconds(setting, ranks) * setting.tokensPerSecond * share) / (1 - share);
}
