// Colours of plots: variables in the page, which has a light and a dark look, and fixed ones in files of their own.

export interface Theme {
  text: string;
  muted: string;
  grid: string;
  background: string;
  /** Colours that are told apart without red and green (after Okabe and Ito). */
  series: readonly string[];
}

const LIGHT: Theme = {
  text: "#1c2430",
  muted: "#566173",
  grid: "#dfe3e9",
  background: "#ffffff",
  series: ["#0b62a8", "#c2510a", "#00795a", "#a63a7c", "#8a6d00", "#3d7fb8", "#6a4fb3", "#555f6d"],
};

const DARK: Theme = {
  text: "#e8ecf2",
  muted: "#a3aebd",
  grid: "#333c49",
  background: "#161b22",
  series: ["#6cb6f5", "#f59c5f", "#4fcfa7", "#e58fc2", "#e0c24f", "#9fd0f7", "#b7a3f0", "#aab4c2"],
};

/** For the page. */
export const VARIABLES: Theme = {
  text: "var(--text)",
  muted: "var(--muted)",
  grid: "var(--grid)",
  background: "var(--card)",
  series: LIGHT.series.map((_, i) => `var(--s${i})`),
};

/** For files. */
export const FIXED = LIGHT;

/** Values of the variables, as CSS. */
function variables({ text, muted, grid, background, series }: Theme): string {
  const colours = series.map((colour, i) => `--s${i}:${colour}`).join(";");
  return `--text:${text};--muted:${muted};--grid:${grid};--card:${background};${colours}`;
}

export const lightVariables = variables(LIGHT);
export const darkVariables = variables(DARK);

export const seriesColour = (theme: Theme, i: number): string => theme.series[i % theme.series.length]!;
