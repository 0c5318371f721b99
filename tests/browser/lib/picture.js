// Pictures of pages, in the folder results: in both themes and two widths.

import { mkdirSync } from "node:fs";
import path from "node:path";

export const results = path.join(import.meta.dirname, "../results");

/** Takes the pictures of the page as it is. */
export async function takePicture(page, name) {
  mkdirSync(results, { recursive: true });
  const { width: before, height: high } = page.viewportSize();
  for (const [width, height] of [[1440, 900], [390, 844]]) {
    await page.setViewportSize({ width, height });
    for (const theme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: theme });
      await page.screenshot({ path: path.join(results, `${name}-${theme}-${width}.png`), fullPage: width === 390 });
    }
  }
  await page.setViewportSize({ width: before, height: high });
  await page.emulateMedia({ colorScheme: "light" });
}
