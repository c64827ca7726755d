//! The document as a page to read: every path with what it takes and answers, every structure with its fields.
//!
//! Text and links within the page, nothing else: no script, nothing from elsewhere, and no style but the file
//! beside it, so it is whole under the API's `Content-Security-Policy`. Whatever a description says is escaped;
//! what stands between backquotes in it is set as code.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{DOCUMENT_PATH, STYLE_PATH};

/// What is to be done first, in the order of a first visit.
const BEGIN: &str = "TOKEN=$(cat DIR/api.token) ADDRESS=$(cat DIR/api.addr)
curl \"http://$ADDRESS/v1/models\" -H \"Authorization: Bearer $TOKEN\"
curl \"http://$ADDRESS/v1/completions\" -H \"Authorization: Bearer $TOKEN\" \\
  --json '{\"prompt\": \"To be\", \"max_tokens\": 50}'";

/// One method of one path.
struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    said: &'a Value,
}

/// The page of an OpenAPI document.
pub(super) fn page(document: &Value) -> String {
    let operations: Vec<Operation<'_>> = fields(&document["paths"])
        .flat_map(|(path, methods)| fields(methods).map(move |(method, said)| Operation { method, path, said }))
        .collect();
    // Groups in the order in which the document first names them.
    let mut tags: Vec<&str> = Vec::new();
    for operation in &operations {
        if !tags.contains(&operation.tag()) {
            tags.push(operation.tag());
        }
    }
    let (mut index, mut body) = (String::new(), String::new());
    for tag in &tags {
        let group = || operations.iter().filter(|operation| operation.tag() == *tag);
        let links: String = group().map(Operation::link).collect();
        // Writing to a String cannot fail.
        let _ = write!(index, "<h2>{0}</h2><ul>{links}</ul>", escaped(tag));
        let sections: String = group().map(Operation::section).collect();
        let _ = write!(body, "<h2>{}</h2>{sections}", escaped(tag));
    }
    let schemas = &document["components"]["schemas"];
    let names: String = fields(schemas).map(|(name, _)| format!("<li>{}", link(name))).collect();
    let structures: String = fields(schemas).map(|(name, schema)| structure(name, schema, schemas)).collect();
    format!(
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">
<title>{title}: local API</title><link rel=stylesheet href={STYLE_PATH}>
<nav><a class=top href=#top>{title}</a>{index}<h2>structures</h2><ul>{names}</ul></nav>
<main id=top><h1>{title}: the local API</h1><p>{description}</p>
<p>DIR is the node's data directory. The same for programs: <a href={DOCUMENT_PATH}>openapi.json</a></p>
<pre><code>{begin}</code></pre>{body}<h2>structures</h2>{structures}</main></html>\n",
        title = escaped(document["info"]["title"].as_str().unwrap_or_default()),
        description = prose(&document["info"]["description"]),
        begin = escaped(BEGIN),
    )
}

impl Operation<'_> {
    fn tag(&self) -> &str {
        self.said["tags"][0].as_str().unwrap_or("other")
    }

    /// What links within the page say.
    fn id(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        format!("{}{}", self.method, self.path.chars().map(plain).collect::<String>())
    }

    fn link(&self) -> String {
        format!("<li><a href=#{}>{} {}</a>", self.id(), escaped(&self.method.to_uppercase()), escaped(self.path))
    }

    fn section(&self) -> String {
        let method = escaped(&self.method.to_uppercase());
        let token = if self.said["security"].as_array().is_some_and(|needs| !needs.is_empty()) { "wants the token" } else { "" };
        let parameters: String = self.said["parameters"].as_array().into_iter().flatten().map(parameter).collect();
        let takes = Some(content(&self.said["requestBody"])).filter(|body| !body.is_empty());
        let takes = takes.map(|body| format!("<tr><th>takes<td>{body}")).unwrap_or_default();
        let answers: String = fields(&self.said["responses"])
            .map(|(status, answer)| {
                let body = content(answer);
                format!("<tr><th>{}<td>{} {body}", escaped(status), prose(&answer["description"]))
            })
            .collect();
        format!(
            "<section id={id}><h3><b class={method}>{method}</b> {path}</h3><p>{summary} <i>{token}</i></p>\
             <table>{parameters}{takes}{answers}</table></section>",
            id = self.id(),
            path = escaped(self.path),
            summary = prose(&self.said["summary"]),
        )
    }
}

fn parameter(parameter: &Value) -> String {
    format!("<tr><th>{{{}}}<td>{}", escaped(parameter["name"].as_str().unwrap_or_default()), prose(&parameter["description"]))
}

/// What a body is; nothing if there is none.
fn content(holder: &Value) -> String {
    match fields(&holder["content"]).next() {
        Some((kind, content)) if kind == "application/json" => kind_of(&content["schema"]),
        Some((kind, _)) => format!("<code>{}</code>", escaped(kind)),
        None => String::new(),
    }
}

/// A structure with all its fields, or what else it may be.
fn structure(name: &str, schema: &Value, schemas: &Value) -> String {
    let mut rows = String::new();
    add_rows(schema, schemas, &mut rows);
    let also = if rows.is_empty() { format!("<p>{}</p>", kind_of(schema)) } else { format!("<table>{rows}</table>") };
    format!("<section id={0}><h3>{0}</h3><p>{1}</p>{also}</section>", escaped(name), prose(&schema["description"]))
}

/// A row for each field; of what is flattened into the structure, its fields, since that is how they are sent.
fn add_rows(schema: &Value, schemas: &Value, rows: &mut String) {
    for part in schema["allOf"].as_array().into_iter().flatten() {
        let part = referred(part).map_or(part, |name| &schemas[name]);
        add_rows(part, schemas, rows);
    }
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in fields(&schema["properties"]) {
        let optional = if required.contains(&name.as_str()) { "" } else { " <i>optional</i>" };
        // Writing to a String cannot fail.
        let _ = write!(rows, "<tr><th>{}<td>{}{optional}<td>{}", escaped(name), kind_of(field), prose(description(field)));
    }
}

/// What is said of a field; of one that may be left out it stands beside the structure it refers to.
fn description(field: &Value) -> &Value {
    let choices = field["oneOf"].as_array().into_iter().flatten();
    let said = |part: &&Value| part["description"].is_string();
    &[field].into_iter().chain(choices).find(said).unwrap_or(field)["description"]
}

/// What kind of value it is, in words and links. The document is ours: its depth is that of our types.
fn kind_of(schema: &Value) -> String {
    if let Some(name) = referred(schema) {
        return link(name);
    }
    let among = |key: &str| schema[key].as_array().map(|choices| choices.iter().map(kind_of).collect::<Vec<_>>());
    if let Some(choices) = among("oneOf").or_else(|| among("anyOf")).or_else(|| among("allOf")) {
        return choices.join(" or ");
    }
    if let Some(values) = schema["enum"].as_array() {
        return values
            .iter()
            .map(|value| format!("<code>{}</code>", escaped(&value.to_string())))
            .collect::<Vec<_>>()
            .join(" or ");
    }
    match &schema["type"] {
        Value::String(kind) if kind == "array" => format!("list of {}", kind_of(&schema["items"])),
        Value::String(kind) => escaped(kind),
        Value::Array(kinds) => {
            let kind = |kind: &Value| kind_of(&with_type(schema, kind));
            kinds.iter().map(kind).collect::<Vec<_>>().join(" or ")
        }
        _ => "any".to_owned(),
    }
}

/// The same schema of one type.
fn with_type(schema: &Value, kind: &Value) -> Value {
    let mut one = schema.clone();
    if let Some(fields) = one.as_object_mut() {
        fields.insert("type".to_owned(), kind.clone());
    }
    one
}

pub(super) fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

/// The name of the structure that a schema refers to.
fn referred(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.rsplit('/').next()
}

fn link(name: &str) -> String {
    format!("<a href=#{0}>{0}</a>", escaped(name))
}

/// A description: what stands between two backquotes is code.
fn prose(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    let mut parts = text.split('`');
    let mut html = escaped(parts.next().unwrap_or_default());
    while let Some(code) = parts.next() {
        match parts.next() {
            Some(after) => html += &format!("<code>{}</code>{}", escaped(code), escaped(after)),
            None => html += &format!("`{}", escaped(code)),
        }
    }
    html
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_description_is_text_with_code_in_it() {
        let table = [
            ("say `a < b`, then", "say <code>a &lt; b</code>, then"),
            ("`a``b`", "<code>a</code><code>b</code>"),
            ("one ` alone & <b>", "one ` alone &amp; &lt;b&gt;"),
            ("", ""),
        ];
        for (text, expected) in table {
            assert_eq!(prose(&json!(text)), expected);
        }
    }

    #[test]
    fn a_kind_is_said_in_words_and_links() {
        let table = [
            (json!({"type": "integer"}), "integer"),
            (json!({"type": ["array", "null"], "items": {"type": "number"}}), "list of number or null"),
            (json!({"oneOf": [{"type": "null"}, {"$ref": "#/components/schemas/Stop"}]}), "null or <a href=#Stop>Stop</a>"),
            (json!({"type": "string", "enum": ["mean"]}), "<code>&quot;mean&quot;</code>"),
            (json!({}), "any"),
        ];
        for (schema, expected) in table {
            assert_eq!(kind_of(&schema), expected, "{schema}");
        }
    }

    #[test]
    fn what_is_flattened_is_shown_as_it_is_sent() {
        let schemas = json!({
            "Wish": {"type": "object", "properties": {"seed": {"oneOf": [{"type": "null"}, {"type": "integer", "description": "of `x`"}]}}},
            "Request": {"allOf": [{"$ref": "#/components/schemas/Wish"},
                {"type": "object", "required": ["prompt"], "properties": {"prompt": {"type": "string"}}}]},
        });
        let html = structure("Request", &schemas["Request"], &schemas);
        assert!(
            html.contains("<tr><th>seed<td>null or integer <i>optional</i><td>of <code>x</code><tr><th>prompt<td>string<td>"),
            "{html}"
        );
    }
}
