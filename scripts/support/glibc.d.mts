export const NEWEST: string;
export function tooNew(objdump: string, others?: string[]): string[];
export function checkGlibc(file: string, others?: string[]): void;
