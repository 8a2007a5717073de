export const NEWEST: string;
export function tooNew(objdump: string): string[];
export function checkGlibc(file: string): void;
