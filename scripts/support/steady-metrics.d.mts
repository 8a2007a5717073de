export function steadyMetrics(folder: string): string[];
