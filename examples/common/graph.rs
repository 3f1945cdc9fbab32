//! A computational graph as in the chapter's figures: on each edge the value above and its gradient below.

use std::{
    fmt::{self, Write},
    fs, io,
    path::Path,
};

/// A node, with what goes along the edge that leaves it.
pub struct Node {
    label: String,
    value: String,
    gradient: String,
    inputs: Vec<Node>,
}

/// An input, with its value and its gradient.
pub fn input(label: &str, value: impl fmt::Display, gradient: impl fmt::Display) -> Node {
    operation(label, value, gradient, [])
}

/// An operation on other nodes, with its output and the gradient on that.
pub fn operation<const N: usize>(
    label: &str,
    value: impl fmt::Display,
    gradient: impl fmt::Display,
    inputs: [Node; N],
) -> Node {
    let [label, value, gradient] = [label.into(), value.to_string(), gradient.to_string()];
    Node { label, value, gradient, inputs: inputs.into() }
}

/// Writes `name.dot`, for Graphviz, and `name.svg`. `result` names what the last node gives.
pub fn write(folder: &Path, name: &str, root: &Node, result: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join(name).with_extension("dot"), dot(root, result))?;
    fs::write(folder.join(name).with_extension("svg"), svg(root, result))
}

fn dot(root: &Node, result: &str) -> String {
    let (mut text, mut count) = (String::from("digraph {\n  rankdir=LR\n"), 0);
    let last = dot_node(root, &mut text, &mut count);
    text += &format!("  result [shape=plaintext, label=\"{result}\"]\n");
    text += &format!("  {last} -> result [label=\"{}\\n{}\"]\n}}\n", root.value, root.gradient);
    text
}

/// Adds a node and all before it. Returns its name.
fn dot_node(node: &Node, text: &mut String, count: &mut usize) -> String {
    let name = format!("n{count}");
    *count += 1;
    let shape = if node.inputs.is_empty() { "plaintext" } else { "ellipse" };
    *text += &format!("  {name} [shape={shape}, label=\"{}\"]\n", node.label);
    for input in &node.inputs {
        let from = dot_node(input, text, count);
        *text += &format!("  {from} -> {name} [label=\"{}\\n{}\"]\n", input.value, input.gradient);
    }
    name
}

/// The distance between columns, and between rows.
const STEP: (f64, f64) = (190.0, 70.0);

/// Inputs stand in rows of their own, an operation in the middle of its inputs.
fn svg(root: &Node, result: &str) -> String {
    let columns = depth(root);
    let (mut body, mut rows) = (String::new(), 0);
    let (x, y) = svg_node(root, columns, &mut body, &mut rows);
    let end = (x + STEP.0, y);
    edge(&mut body, (x, y), end, root);
    label(&mut body, end, result, false);
    let (width, height) = (STEP.0 * (columns + 2) as f64, STEP.1 * (rows + 1) as f64);
    let size = format!(r#"viewBox="0 0 {width} {height}" width="{width}" height="{height}""#);
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="13" text-anchor="middle">
<rect width="100%" height="100%" fill="#fff"/>
{body}</svg>
"##
    )
}

/// Operations on the longest way to a node.
fn depth(node: &Node) -> usize {
    node.inputs.iter().map(|input| 1 + depth(input)).max().unwrap_or(0)
}

/// Draws a node in a column, and all before it. Returns its place.
fn svg_node(node: &Node, column: usize, body: &mut String, rows: &mut usize) -> (f64, f64) {
    let before = |input| svg_node(input, column - 1, body, rows);
    let inputs: Vec<_> = node.inputs.iter().map(before).collect();
    let x = STEP.0 * (column as f64 + 0.5);
    let y = match (inputs.first(), inputs.last()) {
        (Some(first), Some(last)) => (first.1 + last.1) / 2.0,
        _ => {
            *rows += 1;
            STEP.1 * *rows as f64
        }
    };
    for (&from, input) in inputs.iter().zip(&node.inputs) {
        edge(body, from, (x, y), input);
    }
    label(body, (x, y), &node.label, !inputs.is_empty());
    (x, y)
}

/// A line with an arrow, the value above its middle and the gradient below.
fn edge(body: &mut String, from: (f64, f64), to: (f64, f64), node: &Node) {
    let (x, y) = (to.0 - from.0, to.1 - from.1);
    let length = x.hypot(y);
    // From border to border.
    let [from, to] =
        [36.0, length - 36.0].map(|part| (from.0 + x * part / length, from.1 + y * part / length));
    let (middle, angle) = (((from.0 + to.0) / 2.0, (from.1 + to.1) / 2.0), y.atan2(x).to_degrees());
    let Node { value, gradient, .. } = node;
    // A `String` takes everything.
    let _ = write!(
        body,
        r##"<g stroke="#555" fill="#555"><line x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}"/>
<path d="M0 0l-8-4v8z" transform="translate({:.1} {:.1}) rotate({angle:.1})"/></g>
<g transform="translate({:.1} {:.1}) rotate({angle:.1})"><text y="-6">{value}</text>
<text y="17" fill="#b33">{gradient}</text></g>
"##,
        from.0, from.1, to.0, to.1, to.0, to.1, middle.0, middle.1
    );
}

fn label(body: &mut String, (x, y): (f64, f64), text: &str, ringed: bool) {
    if ringed {
        let ellipse = format!(r#"<ellipse cx="{x}" cy="{y}" rx="34" ry="20""#);
        *body += &format!("{ellipse} fill=\"#eef\" stroke=\"#555\"/>\n");
    }
    let _ = writeln!(body, r#"<text x="{x}" y="{}">{text}</text>"#, y + 4.0);
}
