export declare function call<T>(f: () => Promise<T>): Promise<T>;
export declare function callSync<T>(f: () => T): T;
