// The editor of configs: turns `<textarea data-editor="yaml">` into CodeMirror and keeps the text area's value in step,
// so that the form posts as it does without script.
//
// CodeMirror writes its rules at run time. In a shadow root it does so as constructed style sheets, which a content
// security policy without 'unsafe-inline' allows; the page's colours come in as custom properties.
//
// Built into assets/browser/editor.js, in this folder:
//   npm ci --ignore-scripts && npx esbuild entry.js --bundle --minify --format=iife --target=es2022 --legal-comments=none --outfile=../browser/editor.js

import { EditorState } from "@codemirror/state";
import { EditorView, drawSelection, highlightActiveLine, highlightActiveLineGutter, keymap, lineNumbers } from "@codemirror/view";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { HighlightStyle, bracketMatching, foldGutter, foldKeymap, indentOnInput, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { yaml } from "@codemirror/lang-yaml";
import { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { tags } from "@lezer/highlight";

const theme = EditorView.theme({
  "&": { color: "var(--ink)", backgroundColor: "var(--raised)", fontSize: "13px", maxHeight: "70vh", minHeight: "280px" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "20px", overflow: "auto" },
  ".cm-content": { caretColor: "var(--ink)", padding: "8px 0" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-gutters": { backgroundColor: "var(--sunk)", color: "var(--ink-3)", border: "0", borderRight: "1px solid var(--line)" },
  ".cm-activeLine": { backgroundColor: "color-mix(in srgb, var(--ink) 4%, transparent)" },
  ".cm-activeLineGutter": { backgroundColor: "transparent", color: "var(--ink)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--accent-soft)" },
  ".cm-selectionMatch, .cm-searchMatch": { backgroundColor: "var(--degraded-soft)", outline: "1px solid var(--line-2)" },
  ".cm-searchMatch-selected": { backgroundColor: "var(--accent-soft)" },
  ".cm-matchingBracket, &.cm-focused .cm-matchingBracket": { backgroundColor: "transparent", outline: "1px solid var(--edge)" },
  ".cm-foldPlaceholder": { backgroundColor: "var(--sunk)", border: "1px solid var(--line-2)", color: "var(--ink-2)" },
  ".cm-panels": { backgroundColor: "var(--sunk)", color: "var(--ink)", fontFamily: "var(--sans)" },
  ".cm-panels.cm-panels-top": { borderBottom: "1px solid var(--line)" },
  ".cm-panels.cm-panels-bottom": { borderTop: "1px solid var(--line)" },
  ".cm-textfield": { backgroundColor: "var(--raised)", border: "1px solid var(--edge)", borderRadius: "4px", color: "inherit" },
  ".cm-button": { backgroundImage: "none", backgroundColor: "var(--raised)", border: "1px solid var(--line-2)", borderRadius: "4px", color: "inherit" },
  ".cm-tooltip": { backgroundColor: "var(--raised)", border: "1px solid var(--line-2)", borderRadius: "5px" },
  ".cm-diagnostic": { fontFamily: "var(--sans)", fontSize: "13px", padding: "6px 10px", borderLeftWidth: "3px" },
  ".cm-diagnostic-error": { borderLeftColor: "var(--down)" },
  ".cm-diagnostic-warning": { borderLeftColor: "var(--degraded)" },
  ".cm-diagnostic-info": { borderLeftColor: "var(--progress)" },
  ".cm-lintRange-error, .cm-lintRange-warning, .cm-lintRange-info": { backgroundImage: "none", textDecoration: "underline wavy 1px", textUnderlineOffset: "3px" },
  ".cm-lintRange-error": { textDecorationColor: "var(--down)" },
  ".cm-lintRange-warning": { textDecorationColor: "var(--degraded)" },
  ".cm-lintRange-info": { textDecorationColor: "var(--progress)" },
  // The gutter's marks are our status shapes instead of pictures, which the policy would refuse.
  ".cm-gutter-lint": { width: "18px" },
  ".cm-gutter-lint .cm-gutterElement": { padding: "0" },
  ".cm-lint-marker": { content: "none", width: "100%", height: "20px", lineHeight: "20px", textAlign: "center", fontSize: "11px" },
  ".cm-lint-marker-error": { content: "none", color: "var(--down)" },
  ".cm-lint-marker-warning": { content: "none", color: "var(--degraded)" },
  ".cm-lint-marker-info": { content: "none", color: "var(--progress)" },
  ".cm-lint-marker::before": { content: '"○"' },
  ".cm-lint-marker-error::before": { content: '"✕"' },
  ".cm-lint-marker-warning::before": { content: '"▲"' },
  ".cm-lint-marker-info::before": { content: '"◐"' },
});

const colours = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: "var(--accent)" },
  { tag: [tags.comment, tags.lineComment], color: "var(--ink-3)", fontStyle: "italic" },
  { tag: [tags.string, tags.special(tags.string), tags.attributeValue], color: "var(--healthy)" },
  { tag: [tags.number, tags.bool, tags.null, tags.keyword], color: "var(--degraded)" },
  { tag: [tags.labelName, tags.typeName, tags.meta], color: "var(--degraded)" },
  { tag: [tags.separator, tags.punctuation, tags.squareBracket, tags.brace], color: "var(--ink-3)" },
]);

const WORDS = { error: "✕ Error", warning: "▲ Warning", info: "◐ Incomplete" };
const CLASSES = { error: "status-down", warning: "status-degraded", info: "status-progress" };
// What the server says, as CodeMirror knows it: what another layer has to bring is its "info".
const SEVERITIES = { error: "error", warning: "warning", incomplete: "info" };

/** Problems as the server numbers them (lines and columns from 1) to positions in the document. */
function placed(doc, problems) {
  return problems.map(({ line, column, severity, message }) => {
    const at = doc.line(Math.min(Math.max(line, 1), doc.lines));
    const from = Math.min(at.from + Math.max((column ?? 1) - 1, 0), at.to);
    // From the column to the end of the word, at least one character where there is one.
    const word = /^[^\s:,\]}]+/.exec(at.text.slice(from - at.from))?.[0].length ?? 0;
    return { from, to: Math.min(from + Math.max(word, 1), at.to), severity: SEVERITIES[severity] ?? "error", message };
  }).sort((a, b) => a.from - b.from);
}

function enhance(area) {
  const frame = document.createElement("div");
  frame.className = "editor-frame";
  const list = document.createElement("ul");
  list.className = "editor-problems";
  const said = document.createElement("p");
  said.className = "editor-state";
  said.setAttribute("role", "status");
  area.after(frame, list, said);
  area.hidden = true;
  area.required = false; // what is hidden can't be focused; the server checks

  const label = document.querySelector(`label[for="${CSS.escape(area.id)}"]`);
  const root = frame.attachShadow({ mode: "open" });
  let timer = 0;
  let asked = 0;

  const view = new EditorView({
    root,
    parent: root,
    state: EditorState.create({
      doc: area.value,
      extensions: [
        lineNumbers(), foldGutter(), lintGutter(), history(), drawSelection(), indentOnInput(), bracketMatching(),
        highlightActiveLine(), highlightActiveLineGutter(), highlightSelectionMatches(), search({ top: true }),
        indentUnit.of("  "), EditorState.tabSize.of(2), EditorState.lineSeparator.of("\n"),
        yaml(), syntaxHighlighting(colours), theme,
        keymap.of([...defaultKeymap, ...searchKeymap, ...historyKeymap, ...foldKeymap, ...lintKeymap, indentWithTab]),
        EditorState.readOnly.of(area.readOnly),
        EditorView.contentAttributes.of({
          "aria-label": label?.textContent.trim() ?? "Configuration",
          spellcheck: "false",
        }),
        EditorView.updateListener.of((update) => {
          if (!update.docChanged) return;
          area.value = update.state.doc.toString();
          area.dispatchEvent(new Event("input", { bubbles: true }));
          clearTimeout(timer);
          timer = setTimeout(check, 400);
        }),
      ],
    }),
  });

  label?.addEventListener("click", () => view.focus());
  // Escape, then Tab, leaves the editor: Tab alone indents.
  area.form?.addEventListener("reset", () => setTimeout(() => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: area.value } })));
  // A link of the error summary points at the text area, which is hidden now.
  document.addEventListener("click", (event) => {
    if (event.target.closest?.(`a[href="#${CSS.escape(area.id)}"]`)) { event.preventDefault(); view.focus(); }
  });

  const show = (problems) => {
    const found = placed(view.state.doc, problems);
    view.dispatch(setDiagnostics(view.state, found));
    list.replaceChildren(...found.map((problem) => {
      const line = view.state.doc.lineAt(problem.from);
      const button = document.createElement("button");
      button.type = "button";
      const parts = [
        [`status ${CLASSES[problem.severity]}`, WORDS[problem.severity]],
        ["quiet", `Line ${line.number}:${problem.from - line.from + 1}`],
        ["break", problem.message],
      ];
      button.append(...parts.map(([name, text]) => Object.assign(document.createElement("span"), { className: name, textContent: text })));
      button.addEventListener("click", () => {
        view.dispatch({ selection: { anchor: problem.from }, effects: EditorView.scrollIntoView(problem.from, { y: "center" }) });
        view.focus();
      });
      const item = document.createElement("li");
      item.append(button);
      return item;
    }));
    const errors = found.filter((problem) => problem.severity === "error").length;
    said.textContent = found.length === 0 ? "No problems found."
      : `${errors} ${errors === 1 ? "error" : "errors"}, ${found.length - errors} other ${found.length - errors === 1 ? "remark" : "remarks"}.`;
  };

  const check = async () => {
    if (!area.dataset.check) return;
    const mine = ++asked;
    try {
      const response = await fetch(area.dataset.check, {
        method: "POST",
        body: area.value,
        credentials: "same-origin",
        redirect: "error",
        headers: {
          "Content-Type": "text/plain; charset=utf-8",
          Accept: "application/json",
          "X-Form-Token": area.form?.elements.namedItem("form_token")?.value ?? "",
        },
      });
      if (mine !== asked) return;
      if (!response.ok) throw new Error(String(response.status));
      const { problems } = await response.json();
      if (mine === asked) show(problems);
    } catch {
      if (mine === asked) said.textContent = "Not checked: the server did not answer. It is checked again when you save.";
    }
  };
  check();
}

for (const area of document.querySelectorAll("textarea[data-editor]")) enhance(area);
