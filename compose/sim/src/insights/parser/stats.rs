//! The `stats` command: aggregations, alone or inside an expression, by groups.

use std::sync::Arc;

use super::{Parser, Result};
use crate::insights::{
    ast::{Aggregate, AggregateKind, Expr, Stats},
    error::{CompileError, Span},
    lexer::Token,
};

impl Parser<'_> {
    pub(super) fn stats(&mut self) -> Result<Stats> {
        self.columns.begin_stats();
        self.aggregates = Some(Vec::new());
        let outputs = self.list(Self::stats_output)?;
        let aggregates = self.aggregates.take().unwrap_or_default();
        let by = if self.take_word("by")? { self.list(Self::named_expression)? } else { Vec::new() };
        let names = by.iter().chain(&outputs).map(|(name, _)| Arc::clone(name)).collect();
        self.columns.end_stats(names);
        Ok(Stats { aggregates, outputs, by })
    }

    fn stats_output(&mut self) -> Result<(Arc<str>, Expr)> {
        let start = self.span.start;
        let output = self.named_expression()?;
        if aggregated(&output.1) {
            return Ok(output);
        }
        let span = Span { start, end: self.last_end };
        let message = "`stats` takes aggregations such as `count(*)` or `avg(field)`; put fields after `by`";
        Err(CompileError::at(self.source, span, message))
    }

    fn named_expression(&mut self) -> Result<(Arc<str>, Expr)> {
        let (expr, text) = self.expression_with_text()?;
        let name = match (self.alias()?, &expr) {
            (Some(alias), _) => alias,
            (None, Expr::Field(field)) => Arc::clone(&field.name),
            (None, _) => Arc::from(text),
        };
        Ok((name, expr))
    }

    /// The aggregation called `name`, if there is one of that name. Its `(` has been read.
    pub(super) fn aggregate(&mut self, name: &str, span: Span) -> Result<Option<Expr>> {
        let kind = match name {
            "count" => AggregateKind::Count,
            "count_distinct" => AggregateKind::CountDistinct,
            "sum" => AggregateKind::Sum,
            "avg" => AggregateKind::Avg,
            "min" => AggregateKind::Min,
            "max" => AggregateKind::Max,
            "pct" | "percentile" => AggregateKind::Pct(0.0),
            "stddev" => AggregateKind::Stddev,
            "earliest" => AggregateKind::Earliest,
            "latest" => AggregateKind::Latest,
            "sortsfirst" => AggregateKind::SortsFirst,
            "sortslast" => AggregateKind::SortsLast,
            _ => return Ok(None),
        };
        // Taken while the argument is read: an aggregation inside an aggregation is a mistake too.
        let Some(mut aggregates) = self.aggregates.take() else {
            let message =
                format!("aggregation `{name}` is allowed in `stats` only, before `by` and not nested");
            return Err(CompileError::at(self.source, span, message));
        };
        let of = match kind {
            AggregateKind::Count if self.at_symbol(")") => None,
            AggregateKind::Count if self.take_symbol("*")? => None,
            _ => Some(self.aggregate_argument()?),
        };
        let kind = if let AggregateKind::Pct(_) = kind { self.percentile()? } else { kind };
        self.need_symbol(")")?;
        let index = aggregates.len();
        aggregates.push(Aggregate { kind, of });
        self.aggregates = Some(aggregates);
        Ok(Some(Expr::Aggregate(index)))
    }

    fn percentile(&mut self) -> Result<AggregateKind> {
        self.need_symbol(",")?;
        match self.token {
            Token::Number(percent) if (0.0..=100.0).contains(&percent) => {
                self.advance()?;
                Ok(AggregateKind::Pct(percent))
            }
            _ => self.expected("a percentile from 0 to 100"),
        }
    }
}

/// Whether an output is made of aggregations and constants.
fn aggregated(expr: &Expr) -> bool {
    match expr {
        Expr::Aggregate(_) => true,
        Expr::Field(_) | Expr::Literal(_) => false,
        Expr::Negate(of) | Expr::Not(of) | Expr::Like(of, _) | Expr::In(of, _) | Expr::Round(of, _, _) => {
            aggregated(of)
        }
        Expr::And(one, two)
        | Expr::Or(one, two)
        | Expr::Arithmetic(_, one, two)
        | Expr::Compare(_, one, two) => {
            let side = |expr: &Expr| aggregated(expr) || matches!(expr, Expr::Literal(_));
            side(one) && side(two) && (aggregated(one) || aggregated(two))
        }
        Expr::Call(_, arguments) => {
            arguments.iter().all(|expr| aggregated(expr) || matches!(expr, Expr::Literal(_)))
                && arguments.iter().any(aggregated)
        }
    }
}
