export declare const SHELLS: readonly ["bash", "zsh", "fish"];
export type Shell = (typeof SHELLS)[number];
export declare function completion(shell: Shell): string;
