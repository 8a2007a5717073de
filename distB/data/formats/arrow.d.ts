export declare const arrow: import("./format.js").Format;
