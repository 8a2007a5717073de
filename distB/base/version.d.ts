/** Of this package. */
export declare function packageVersion(): string;
