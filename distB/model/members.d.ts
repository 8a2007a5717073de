/**
 * Keys and values of a JSON object in their order; a key that stands twice comes twice.
 * @throws SyntaxError where the text is no JSON object
 */
export declare function members(text: string): Generator<[key: string, value: unknown]>;
