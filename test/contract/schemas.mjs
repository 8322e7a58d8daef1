// Makes JSON Schemas of the endpoints' answers from misskey-js' types, by their
// syntax alone: the generated types are plain enough, and the checker is slow.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const file = fileURLToPath(new URL('node_modules/misskey-js/built/autogen/types.d.ts', import.meta.url));

/** { defs: name → schema, answers: endpoint → { 200?: schema, 204?: true } } */
export function schemas() {
	const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.ESNext, true);
	const top = new Map();
	for (const s of source.statements) {
		if (ts.isTypeAliasDeclaration(s) || ts.isInterfaceDeclaration(s)) top.set(s.name.text, s);
	}
	const defs = {};
	const all = member(top.get('components').type, 'schemas');
	for (const m of all.members) defs[nameOf(m)] = schema(m.type);

	const answers = {};
	const operations = new Map(top.get('operations').members.map(m => [nameOf(m), m.type]));
	for (const path of top.get('paths').type.members) {
		const post = member(path.type, 'post');
		if (!post) continue;
		const operation = operations.get(post.indexType.literal.text);
		const codes = {};
		for (const r of member(operation, 'responses').members) {
			const code = nameOf(r);
			if (code !== '200' && code !== '204') continue;
			const content = member(r.type, 'content');
			const json = content && ts.isTypeLiteralNode(content) ? member(content, 'application/json') : undefined;
			codes[code] = json ? schema(json) : true;
		}
		answers[nameOf(path).slice(1)] = codes;
	}
	return { defs, answers };
}

function nameOf(m) {
	return m.name.text;
}

function member(type, name) {
	return type.members.find(m => m.name && nameOf(m) === name)?.type;
}

function schema(t) {
	const kinds = ts.SyntaxKind;
	switch (t.kind) {
		case kinds.StringKeyword: return { type: 'string' };
		case kinds.NumberKeyword: return { type: 'number' };
		case kinds.BooleanKeyword: return { type: 'boolean' };
		case kinds.UnknownKeyword:
		case kinds.AnyKeyword: return {};
		case kinds.NeverKeyword: return { not: {} };
		case kinds.UndefinedKeyword: return { not: {} };
		case kinds.ParenthesizedType: return schema(t.type);
		case kinds.ArrayType: return { type: 'array', items: schema(t.elementType) };
		case kinds.TupleType: return { type: 'array', prefixItems: t.elements.map(schema), minItems: t.elements.length };
		case kinds.UnionType: return { anyOf: t.types.map(schema) };
		case kinds.IntersectionType: return { allOf: t.types.map(schema) };
		case kinds.LiteralType: return literal(t.literal);
		case kinds.TypeLiteral: return object(t);
		case kinds.IndexedAccessType: // components['schemas']['X']
			return { $ref: '#/$defs/' + t.indexType.literal.text };
		case kinds.TypeReference:
			if (t.typeName.text === 'Record') {
				const value = t.typeArguments[1];
				// Record<string, never> is what the generator makes of "anything".
				return value.kind === kinds.NeverKeyword ? {} : { type: 'object', additionalProperties: schema(value) };
			}
	}
	throw new Error('a type of a kind that is not known: ' + t.getText());
}

function literal(l) {
	if (l.kind === ts.SyntaxKind.NullKeyword) return { type: 'null' };
	if (l.kind === ts.SyntaxKind.TrueKeyword) return { const: true };
	if (l.kind === ts.SyntaxKind.FalseKeyword) return { const: false };
	if (ts.isPrefixUnaryExpression(l)) return { const: -Number(l.operand.text) };
	return { const: ts.isNumericLiteral(l) ? Number(l.text) : l.text };
}

function object(t) {
	const out = { type: 'object', properties: {}, required: [] };
	for (const m of t.members) {
		if (ts.isIndexSignatureDeclaration(m)) {
			out.additionalProperties = schema(m.type);
			continue;
		}
		out.properties[nameOf(m)] = schema(m.type);
		if (!m.questionToken) out.required.push(nameOf(m));
	}
	return out;
}
