import type { Profile, Service, Speech } from './profile.ts';

export const canonVitreaDelftdi: Profile = {
  name: 'canon-vitrea-delftdi',
  title: 'Canon Medical Systems - Vitrea and DelftDI',
  services: [
    direct('VIP 1', 'DicomRouting', 'dicom', 11112),
    { ...direct('VIP 2', 'DicomInternal', 'dicom', 11112), comment: 'The same port at another address.' },
    direct('VIP 3', 'HL7Live', 'hl7', 2398),
    direct('VIP 4', 'HL7Migrate', 'hl7', 2988),
    { ...direct('VIP 5', 'MWL', 'dicom', 4106), comment: 'Modality worklists.' },
    direct('VIP 6', 'VPWorklistHL7Live', 'hl7', 19001),
    direct('VIP 7', 'VPWorklistHL7Migrate', 'hl7', 19002),
    { ...direct('VIP 8', 'MINT', 'http', 8080), comment: 'Images over HTTP.' },
    direct('VIP 9', 'WorklistHL7Draft', 'hl7', 19011),
    direct('VIP 10', 'WorklistHL7Prelim', 'hl7', 19012),
    direct('VIP 11', 'WorklistHL7Signed', 'hl7', 19013),
    web('VIP 12', 'VC_AdminTools', 8238),
    web('VIP 13', 'AuthM', 8236),
    web('VIP 14', 'VitreaRead', 8237),
    web('VIP 15', 'Worklist', 8089),
    web('VIP 16', 'VPSmartReporting', 8994),
  ],
};

function direct(ref: string, name: string, speaks: Speech, port: number): Service {
  return {
    ref,
    name,
    speaks,
    direct: true,
    ports: [port],
    persistence: 'source-ip',
    health: { check: 'connect' },
  };
}

function web(ref: string, name: string, port: number): Service {
  return { ref, name, speaks: 'http', ports: [port], persistence: 'cookie', health: { check: 'connect' } };
}
