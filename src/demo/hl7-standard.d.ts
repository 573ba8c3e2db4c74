/** The part of hl7-standard that the demo uses; the package has no types. */
declare module 'hl7-standard' {
  class HL7 {
    constructor(message: string);
    transform(): void;
    /** A field or component, `MSH.9.1`; null when it is empty. */
    get(path: string): string | null;
  }
  export = HL7;
}
