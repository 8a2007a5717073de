export declare const parquet: import("./format.js").Format;
