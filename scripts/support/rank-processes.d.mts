export function ranksOf(output: string): (number | undefined)[];
