/** A record batch of a cache file, as views into its bytes. */
export interface Part {
  inputIds: Int32Array;
  lossMask: Uint8Array;
  /** Where each example begins, and the end of the last. */
  offsets: Int32Array;
  rows: Uint32Array;
}

/** Whether every example lies within its part. */
export function isSound({ inputIds, lossMask, offsets, rows }: Part): boolean {
  if (offsets[0] !== 0 || offsets.length !== rows.length + 1) return false;
  if (inputIds.length !== offsets.at(-1) || lossMask.length !== inputIds.length) return false;
  for (let i = 1; i < offsets.length; i++) if (offsets[i]! < offsets[i - 1]!) return false;
  return true;
}
