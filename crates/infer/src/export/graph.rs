//! A graph of ONNX operators while it grows: nodes, constants, and names that stay unique. What is computed is said by `network`, `resize`
//! and `table`.

use std::collections::HashSet;

use super::onnx::{Attribute, GraphProto, NodeProto, TensorProto, Type, ValueInfoProto, attribute};

/// A graph so far.
#[derive(Default)]
pub(super) struct Graph {
    proto: GraphProto,
    names: HashSet<String>,
}

impl Graph {
    /// A graph with these inputs and outputs, which are to be named before anything else is.
    pub(super) fn new(name: &str, input: Vec<ValueInfoProto>, output: Vec<ValueInfoProto>) -> Self {
        let names = input.iter().chain(&output).map(|value| value.name.clone()).collect();
        Self { proto: GraphProto { name: name.to_owned(), input, output, ..GraphProto::default() }, names }
    }

    pub(super) fn finish(self) -> GraphProto {
        self.proto
    }

    /// `wanted`, or the same with a number behind it where something else has that name.
    fn unique(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        let mut number = 1;
        while !self.names.insert(name.clone()) {
            number += 1;
            name = format!("{wanted}_{number}");
        }
        name
    }

    /// Computes `op` of `inputs`; gives the name of its output, which is like `name`.
    pub(super) fn node(&mut self, name: &str, op: &str, inputs: &[&str], with: &[(&str, Attribute<'_>)]) -> String {
        self.node_of("", name, op, inputs, with)
    }

    /// The same for an operator of another domain than ONNX' own.
    pub(super) fn node_of(
        &mut self,
        domain: &str,
        name: &str,
        op: &str,
        inputs: &[&str],
        with: &[(&str, Attribute<'_>)],
    ) -> String {
        let name = self.unique(name);
        self.proto.node.push(NodeProto {
            input: inputs.iter().map(ToString::to_string).collect(),
            output: vec![name.clone()],
            name: name.clone(),
            op_type: op.to_owned(),
            attribute: with.iter().map(|(name, value)| attribute(name, value)).collect(),
            domain: domain.to_owned(),
        });
        name
    }

    /// Calls the output of the last node `name`, that of an output of the graph.
    pub(super) fn answer(&mut self, value: String, name: &str) {
        match self.proto.node.last_mut() {
            Some(last) if last.output == [value.clone()] => last.output = vec![name.to_owned()],
            _ => self.proto.node.push(NodeProto {
                input: vec![value],
                output: vec![name.to_owned()],
                name: name.to_owned(),
                op_type: "Identity".to_owned(),
                ..NodeProto::default()
            }),
        }
    }

    /// Turns values into those of another type.
    pub(super) fn cast(&mut self, value: &str, to: Type) -> String {
        let name = match to {
            Type::Float => "as_float",
            Type::Double => "as_double",
            _ => "cast",
        };
        self.node(name, "Cast", &[value], &[("to", Attribute::Int(to as i64))])
    }

    /// A tensor of 32-bit floats.
    pub(super) fn floats(&mut self, name: &str, dims: &[usize], values: &[f32]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, dims, Type::Float, bytes)
    }

    /// A tensor of 64-bit floats.
    pub(super) fn doubles(&mut self, name: &str, dims: &[usize], values: &[f64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, dims, Type::Double, bytes)
    }

    /// A tensor of whole numbers.
    pub(super) fn ints(&mut self, name: &str, dims: &[usize], values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(name, dims, Type::Int64, bytes)
    }

    fn constant(&mut self, name: &str, dims: &[usize], r#type: Type, bytes: Vec<u8>) -> String {
        let name = self.unique(name);
        self.proto.initializer.push(TensorProto {
            dims: dims.iter().map(|&size| size as i64).collect(),
            data_type: Some(r#type as i32),
            name: name.clone(),
            raw_data: Some(bytes),
        });
        name
    }
}
