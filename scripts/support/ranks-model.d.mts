export interface Setting {
  tokensPerSecond: number;
  parameters: number;
  linkBitsPerSecond: number;
  latency?: number;
  addBytesPerSecond?: number;
  copyBytesPerSecond?: number;
}
export function bytesSent(parameters: number, ranks: number): number;
export function exchangeSeconds(setting: Setting, ranks: number): number;
export function efficiency(setting: Setting, ranks: number, tokens: number): number;
export function speedup(setting: Setting, ranks: number, tokens: number): number;
export function breakEvenTokens(setting: Setting, ranks: number): number;
export function tokensFor(setting: Setting, ranks: number, share: number): number;
