// The look of the page: light and dark, wide and narrow, on a screen and on paper.
import { darkVariables, lightVariables } from "./theme.js";

const light = `${lightVariables};--page:#f4f6f9;--line:#d5dae2;--accent:#0b62a8;--on-accent:#fff`;
const dark = `${darkVariables};--page:#0d1117;--line:#303844;--accent:#6cb6f5;--on-accent:#08131f`;

export const STYLE = `
:root{color-scheme:light dark;${light}}
@media(prefers-color-scheme:dark){:root{${dark}}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
header,main,footer{max-width:1560px;margin:0 auto;padding:0 clamp(12px,2.5vw,32px)}
header{padding-top:22px}
h1{font-size:1.55rem;line-height:1.2;margin:0 0 4px;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:30px 0 10px}
h3{font-size:1rem;margin:0 0 6px}
p{margin:0 0 8px}
.muted{color:var(--muted)}
.card,figure{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:14px;margin:0}
.grid{display:grid;gap:14px;grid-template-columns:repeat(auto-fill,minmax(min(100%,430px),1fr));align-items:start}
.numbers{display:grid;gap:10px;grid-template-columns:repeat(auto-fill,minmax(152px,1fr));margin:14px 0 0;padding:0}
.numbers div{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:9px 12px}
.numbers dt{color:var(--muted);font-size:.82rem}
.numbers dd{margin:0;font-size:1.2rem;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
figure svg{display:block;width:100%;height:auto;font-family:inherit}
figure .picture{overflow-x:auto}
figure .picture img{display:block;border-radius:6px}
figcaption{display:flex;flex-wrap:wrap;gap:2px 14px;align-items:baseline;margin:0 0 6px}
figcaption h3{margin:0}
.legend{display:flex;flex-wrap:wrap;gap:2px 12px;list-style:none;margin:0;padding:0;font-size:.85rem}
.legend i{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.4em}
.legend li{overflow-wrap:anywhere}
.reading{display:grid;grid-template-columns:1fr;gap:0}
.reading input{margin:2px 4% 0 13.5%;width:82.5%;accent-color:var(--accent);height:18px}
.reading output{font-size:.85rem;min-height:1.5em;padding-left:13.5%;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.table{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:5px 12px 5px 0;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600}
tbody th{font-weight:400;color:var(--muted)}
td.n,th.n{text-align:right}
td.wrap{overflow-wrap:anywhere}
.pairs{display:grid;gap:0 28px;grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr));font-size:.9rem}
.pairs div{display:flex;gap:10px;justify-content:space-between;border-bottom:1px solid var(--line);padding:4px 0}
.pairs dt{color:var(--muted)}
.pairs dd{margin:0;text-align:right;overflow-wrap:anywhere;min-width:0}
.swatch{display:inline-block;width:.75em;height:.75em;border-radius:2px;margin-right:.45em}
pre,.sample{white-space:pre-wrap;overflow-wrap:anywhere;margin:0 0 8px;font:13px/1.5 ui-monospace,"DejaVu Sans Mono",Menlo,Consolas,monospace}
.samples{display:grid;gap:14px;grid-template-columns:repeat(auto-fill,minmax(min(100%,430px),1fr))}
.samples h3{margin-top:8px}
.samples h3:first-child{margin-top:0}
.prompt{border-left:3px solid var(--line);padding-left:10px;color:var(--muted)}
summary{cursor:pointer;padding:4px 0}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:4px}
a{color:var(--accent)}
.skip{position:absolute;left:-999px}
.skip:focus{left:8px;top:8px;background:var(--card);padding:6px 10px}
footer{padding-top:26px;padding-bottom:26px;color:var(--muted);font-size:.85rem}
.controls{display:flex;flex-wrap:wrap;gap:10px;align-items:end;margin-top:14px}
button{font:inherit;color:var(--on-accent);background:var(--accent);border:0;border-radius:6px;padding:7px 14px;cursor:pointer}
button.plain{color:var(--text);background:transparent;border:1px solid var(--muted)}
button:disabled{opacity:.5;cursor:default}
.controls label{display:grid;gap:2px;flex:1 1 260px;font-size:.85rem;color:var(--muted)}
textarea{font:inherit;color:var(--text);background:var(--page);border:1px solid var(--muted);border-radius:6px;padding:6px 8px;min-height:38px;width:100%}
@media(max-width:520px){figure svg text{font-size:14.5px}}
@media print{
:root{color-scheme:light;${light}}
body{background:#fff;font-size:10.5pt}
header,main,footer{max-width:none;padding:0}
.grid,.samples{grid-template-columns:repeat(2,minmax(0,1fr));gap:8pt}
img{max-width:100%;color-scheme:light}
figure,.samples .card,.numbers div,.pairs div,tr{break-inside:avoid}
h2,h3{break-after:avoid}
.reading,.controls,.skip{display:none}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
}
`;
