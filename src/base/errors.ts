/** An error a user can act on: the mistake, its place, the expected and the found value, and the remedy. */
export class LowrankError extends Error {
  override readonly name = "LowrankError";
  /** File, key or tensor concerned; only where there is one. */
  declare readonly where?: string;

  /**
   * @param code stable identifier, such as `E_FILE_MISSING`
   * @param message one clear sentence or two; names the file, key or tensor
   * @param where file, key or tensor concerned, if any
   */
  constructor(
    readonly code: string,
    message: string,
    where?: string,
    options?: ErrorOptions,
  ) {
    super(message, options?.cause === undefined ? {} : options);
    if (where !== undefined) this.where = where;
  }
}
