/** Numbers in sentences. */

/** Returns a number with its noun: "1 image", "2 images". */
export function count(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}
