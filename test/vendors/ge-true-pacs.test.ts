import { testRows } from './rows.ts';

testRows({
  profile: 'ge-true-pacs',
  addresses: 1,
  layout: { 80: 'http', 443: 'https', 3080: 'https', 8081: 'echo', 9094: 'https', 10443: 'https' },
  also: { endsTls: true },
  pathOf: (name) => `/${name.split('_')[1]!.toLowerCase()}`,
});
