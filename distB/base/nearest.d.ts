/** The known name that was probably meant: few edits away, or containing what was written. */
export declare function nearest(name: string, known: readonly string[]): string | undefined;
/** ` (did you mean "x"?)`, or nothing where no name is near. @param spelled how the near name is written */
export declare function suggestion(name: string, known: readonly string[], spelled?: (near: string) => string): string;
